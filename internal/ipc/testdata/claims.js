'use strict';
// Takes argv[2] connections: each must hold what its message says it does.
// While told to wait it reads nothing, until its standard input ends.
const assert = require('assert');
const fs = require('fs');

let due = Number(process.argv[2]);
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
  if (--due === 0) process.disconnect();
}
