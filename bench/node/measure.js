// What the scripts share. Each measures for BENCH_SECONDS and prints one number. The warm-up takes
// three times as long, because V8 compiles the hot code after some 0.8 s only.
const seconds = Number(process.env.BENCH_SECONDS ?? 0.3)

// repeat returns the function that begins, and that step, which it calls, must have called
// whenever a step is done. In the end, finish gets the steps per second.
exports.repeat = function (step, finish) {
  let steps = 0
  let begun
  let length = seconds * 3000
  let warm = false
  return function next () {
    const now = performance.now()
    begun ??= now
    if (now - begun >= length && steps > 0) {
      if (warm) return finish(steps / (now - begun) * 1000)
      warm = true
      steps = 0
      begun = now
      length = seconds * 1000
    }
    steps++
    step()
  }
}

exports.seconds = seconds

// done prints the number, and ends the process and with it the channel of its child.
exports.done = function (number) {
  require('node:fs').writeSync(1, `${number}\n`)
  process.exit()
}

// endWithParent ends this child with its channel, which not every runtime does by itself.
exports.endWithParent = function () {
  process.on('disconnect', () => process.exit())
}

// pin moves this process, with all its threads, to a CPU.
exports.pin = function (cpu) {
  if (cpu) require('node:child_process').execFileSync('taskset', ['-acp', cpu, process.pid])
}

// message returns a value that takes so many bytes on the wire.
exports.message = function (size) {
  if (size <= 20) return { number: 12345678 }
  const sentence = 'The parent sends a message and the child receives it. '
  const length = size - '{"text":""}\n'.length
  return { text: sentence.repeat(length / sentence.length + 1).slice(0, length) }
}
