'use strict';
// Closes the channel to a child, which must notice and exit.
const child = require('./peer')('node-disconnect');

child.on('message', () => child.disconnect());
