'use strict'
// The chart of the last minute: answers a second, and a line where something was done.

const minute = 60_000
const points = [] // { time, rate }, oldest first

// showChart draws a frame's rate and marks.
function showChart(svg, now, rate, marks) {
  if (points.at(-1)?.time > now) points.length = 0 // the program has started again
  points.push({ time: now, rate })
  while (points[0].time < now - minute) points.shift()
  const { width, height } = svg.viewBox.baseVal
  const most = Math.max(10, ...points.map((point) => point.rate))
  const x = (time) => (width * (1 - (now - time) / minute)).toFixed(1)
  const y = (rate) => (height - 2 - (height - 8) * rate / most).toFixed(1)
  const line = shape(svg, 'polyline', 0)
  line.setAttribute('points', points.map((point) => `${x(point.time)},${y(point.rate)}`).join(' '))
  const shown = marks.filter((mark) => mark.time > now - minute)
  shown.forEach((mark, i) => {
    const path = shape(svg, 'path', i + 1)
    path.setAttribute('d', `M${x(mark.time)},0V${height}`)
  })
  while (svg.children.length > shown.length + 1) svg.lastElementChild.remove()
}

// shape returns the svg's element at an index, which it makes if there is none.
function shape(svg, name, index) {
  return svg.children[index] ?? svg.appendChild(document.createElementNS('http://www.w3.org/2000/svg', name))
}
