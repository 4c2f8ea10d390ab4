'use strict';
// Sends all values, and the names before them, and checks what comes.
const assert = require('assert');
const values = require('./values');
const peer = require('./peer')('node-exchange');

const due = [['names', values.map(([name]) => name)], ...values];
for (const [, value] of due) peer.send(value);
peer.on('message', (got) => {
  const [name, want] = due.shift();
  assert.deepStrictEqual(got, want, name);
});
peer.on('disconnect', () => assert.strictEqual(due.length, 0));
