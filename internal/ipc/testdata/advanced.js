'use strict';
// Forks a child with a serialization that it does not support. The child must
// close the channel at once; it runs until its standard input ends.
const child = require('./peer')('node-advanced', {
  serialization: 'advanced',
  stdio: ['pipe', 'inherit', 'inherit', 'ipc'],
});

child.on('disconnect', () => child.stdin.end());
