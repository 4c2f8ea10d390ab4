'use strict';
// Sends back every message with its handle.
const peer = require('./peer')('node-echo');

peer.on('message', (message, handle) => {
  // send closes a net.Socket when it is acknowledged; other handles are closed
  // here. Until then this process may read from them, and 'released' waits for
  // the acknowledgement, too.
  peer.send(message, handle, () => handle.close?.());
  peer.send('released');
});
