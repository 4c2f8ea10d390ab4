'use strict';
// Forks a child with the serialization it does not speak. The child is to close
// the channel at once, though it goes on as long as its standard input.
const child = require('./peer')('node-advanced', {
  serialization: 'advanced',
  stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
});

child.on('disconnect', () => child.stdin.end());
