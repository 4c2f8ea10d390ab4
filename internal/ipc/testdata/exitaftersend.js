'use strict';
// Receives one long message from a child that exits right after sending it.
const assert = require('assert');
const child = require('./peer')('node-exit-after-send');

const got = [];
child.on('message', (message) => got.push(message));
child.on('disconnect', () => assert.deepStrictEqual(got, ['x'.repeat(1 << 20)]));
