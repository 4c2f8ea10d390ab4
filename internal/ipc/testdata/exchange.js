'use strict';
// Sends the names of all values, then the values, and checks what it receives.
const assert = require('assert');
const values = require('./values');
const peer = require('./peer')('node-exchange');

const expected = [['names', values.map(([name]) => name)], ...values];
for (const [, value] of expected) peer.send(value);
peer.on('message', (got) => {
  const [name, want] = expected.shift();
  assert.deepStrictEqual(got, want, name);
});
peer.on('disconnect', () => assert.strictEqual(expected.length, 0));
