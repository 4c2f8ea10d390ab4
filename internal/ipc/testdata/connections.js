'use strict';
// Receives argv[2] connections. From each it must read what the message says.
// The message 'wait' makes it read nothing until its standard input ends.
const assert = require('assert');
const fs = require('fs');

let missing = Number(process.argv[2]);
process.on('message', (message, socket) => {
  if (message === 'wait') wait();
  else if (message.holds) check(message.holds, socket);
});

function wait() {
  process.send('waiting');
  assert.strictEqual(fs.readSync(0, Buffer.alloc(1)), 0);
}

async function check(want, socket) {
  let text = '';
  for await (const data of socket) text += data;
  assert.strictEqual(text, want);
  if (--missing === 0) process.disconnect();
}
