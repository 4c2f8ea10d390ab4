#!/usr/bin/env node
// What the four methods run. Where it has a channel it sends a message, and else
// it prints a line: how it was started is all the difference.
const words = { args: process.argv.slice(2), channel: Boolean(process.send) }
if (process.send) process.send(words)
else console.log(JSON.stringify(words))
