'use strict';
// Takes one long message from a child that exits as soon as it has sent it.
const assert = require('assert');
const child = require('./peer')('node-lastwords');

const got = [];
child.on('message', (message) => got.push(message));
child.on('disconnect', () => assert.deepStrictEqual(got, ['x'.repeat(1 << 20)]));
