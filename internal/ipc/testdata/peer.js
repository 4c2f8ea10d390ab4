'use strict';
// The process at the other end of our channel: the parent that forked us, or
// else the Go test binary argv[2], forked by us in a role and bound to end well.
const assert = require('assert');
const { fork } = require('child_process');

module.exports = (role, options) => {
  if (process.send) return process;
  const [, , execPath, ...args] = process.argv;
  const child = fork(role, args, { execPath, execArgv: [], ...options });
  child.on('exit', (code, signal) => {
    assert.deepStrictEqual({ code, signal }, { code: 0, signal: null });
  });
  return child;
};
