'use strict';
// Returns the process at the other end of the channel. It is the parent that
// forked this process or, without a parent, a child: the Go test binary argv[2],
// which is forked in a role and must exit with code 0.
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
