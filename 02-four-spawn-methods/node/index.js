#!/usr/bin/env node
// The program that the four methods run. With a channel it sends a message; without one it
// prints a line. Nothing else differs.
const words = { args: process.argv.slice(2), channel: Boolean(process.send) }
if (process.send) process.send(words)
else console.log(JSON.stringify(words))
