// Prints its pid, and waits for a signal.
process.on('SIGUSR2', () => {
  process.stdout.write('still here')
  process.exit()
})
process.stdout.write(`${process.pid}`)
setInterval(() => {}, 1000)
