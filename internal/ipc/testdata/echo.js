'use strict';
// Sends back every message, with the handle it came with.
const peer = require('./peer')('node-echo');

peer.on('message', (message, handle) => {
  // A net.Socket is gone once it is sent; the others stay ours. Until it is
  // acknowledged we would read from it, and this waits for that, too.
  peer.send(message, handle, () => handle.close?.());
  peer.send('all yours');
});
