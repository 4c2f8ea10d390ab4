'use strict';
// Sends values that look different on the wire than in JavaScript. spelling.txt
// has the lines.
const peer = require('./peer')('node-spelling');

const values = [
  { hello: 'HELLO' },
  { u: undefined, f() {}, [Symbol('s')]: 1, nan: NaN, inf: -Infinity },
  [undefined, NaN, Infinity, -0],
  new Date(0),
  Buffer.from('hi'),
  [new Map([[1, 2]]), new Set([1]), /x/, new Error('x')],
  { toJSON: () => 'by toJSON' },
  '\b\t\n\f\r"\\/\x00\x1f\x7f',
  '\u2028\u2029<>&\'',
  '\ud800 \udc00 é中文😀',
  { b: 1, a: 2, 1: 3 },
  [0.1, 1e21, 1e-7, 2 ** 53, 1e308, 100],
  null,
];
for (const value of values) peer.send(value);
