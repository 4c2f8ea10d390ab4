'use strict';
// Closes the channel to a child, which is to notice and to end.
const child = require('./peer')('node-disconnected');

child.on('message', () => child.disconnect());
