'use strict'
// Each connection is a dot on a canvas over the stage. It goes from the port to the gate of a worker's
// card and, when the worker has accepted it, through the gate. If the worker dies before that, it goes
// back to the port, and then to another worker.

const maxDots = 200 // there are no dots for others
const forgottenAfter = 10_000 // milliseconds: the end of another client's connection is not seen
const betweenDraws = 30 // milliseconds
const calm = matchMedia('(prefers-reduced-motion: reduce)')

// A dot has legs: where it goes, one after the other, and what it looks like then.
const dots = new Map() // by the client's port, until the connection ends
const shown = new Set() // and those that are about to fade

const canvas = document.getElementById('dots')
let boxes = { port: null, lost: null, gates: new Map() } // where things are on the stage

// showMoves adds the steps of a frame. cards are the cards of the workers, by their ID.
function showMoves(moves, port, cards) {
  const origin = canvas.getBoundingClientRect()
  const box = (element) => {
    const { left, top, width, height } = element.getBoundingClientRect()
    return { x: left - origin.left, y: top - origin.top, width, height }
  }
  boxes = {
    port: box(port),
    lost: box(document.getElementById('lost')),
    gates: new Map([...cards].map(([id, card]) => [id, box(card.querySelector('.gate'))])),
  }
  for (const move of moves) showMove(move)
  if (shown.size > 0 && !drawing) drawing = requestAnimationFrame(draw)
}

function showMove({ conn, worker, step }) {
  const first = !dots.has(conn)
  if (first && (!['given', 'answered', 'failed'].includes(step) || shown.size >= maxDots)) return
  if (first) add(conn)
  const dot = dots.get(conn)
  switch (step) {
    case 'given':
      return go(dot, atGate(worker), 350)
    case 'accepted':
      return go(dot, inside(worker), 150, { accepted: true })
    case 'refused':
      return go(dot, atPort, 350)
    case 'returned':
      return go(dot, atPort, 700, { back: true })
    case 'answered': // with the policy none, this is the first that is known of it
      if (first) go(dot, inside(worker), 350)
      go(dot, null, 250, { accepted: true, fading: true })
      break
    default: // failed, or reset by the primary
      go(dot, null, 700, { failed: true })
      go(dot, atLost, 1200)
      go(dot, null, 700, { fading: true })
  }
  dots.delete(conn)
}

function add(conn) {
  const dot = { conn, at: atPort(), legs: [], still: 0 }
  dots.set(conn, dot)
  shown.add(dot)
}

const go = (dot, to, time, look) => void dot.legs.push({ to, time, look })

const atPort = () => place(boxes.port, [0.86, 0.96], [0.2, 0.8])
const atLost = () => place(boxes.lost, [0, 1], [0, 1])
const atGate = (worker) => () => place(boxes.gates.get(worker), [-0.07, -0.03], [0.1, 0.9])
const inside = (worker) => () => place(boxes.gates.get(worker), [0.06, 0.95], [0.2, 0.8])

// place returns a place in a box, between parts of its width and height; or null if the box is gone.
function place(box, [left, right], [top, bottom]) {
  const between = (from, to) => from + Math.random() * (to - from)
  return box && { x: box.x + between(left, right) * box.width, y: box.y + between(top, bottom) * box.height }
}

// move moves a dot along its legs, as far as it should be now. It returns false if the dot has gone.
function move(dot, now) {
  while (dot.legs.length > 0) {
    const leg = dot.legs[0]
    if (!leg.begun) {
      Object.assign(dot, leg.look)
      leg.begun = now
      leg.from = dot.at
      leg.end = leg.to?.() ?? dot.at
    }
    const part = calm.matches && !dot.fading ? 1 : Math.min(1, (now - leg.begun) / leg.time)
    dot.at = { x: leg.from.x + (leg.end.x - leg.from.x) * part, y: leg.from.y + (leg.end.y - leg.from.y) * part }
    dot.strength = dot.fading ? 1 - part : 1
    if (part < 1) return true
    dot.legs.shift()
    dot.still = now
  }
  if (dot.accepted && !dot.fading && now - dot.still > forgottenAfter) {
    go(dot, null, 250, { fading: true })
    if (dots.get(dot.conn) === dot) dots.delete(dot.conn)
    return true
  }
  return !dot.fading
}

let drawing = 0, drawn = 0

function draw(now) {
  drawing = shown.size > 0 ? requestAnimationFrame(draw) : 0
  if (drawing && now - drawn < betweenDraws) return
  drawn = now
  const scale = devicePixelRatio, width = Math.round(canvas.clientWidth * scale), height = Math.round(canvas.clientHeight * scale)
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
  const context = canvas.getContext('2d')
  context.setTransform(scale, 0, 0, scale, 0, 0)
  context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight)
  const colour = legend()
  for (const dot of shown) {
    if (move(dot, now)) paint(context, dot, colour)
    else shown.delete(dot)
  }
}

// legend returns the colours, which the style sheet chooses.
function legend() {
  const of = (name) => getComputedStyle(document.querySelector(`#legend .${name}`)).color
  return { given: of('given'), back: of('back'), failed: of('failed') }
}

function paint(context, { at: { x, y }, strength, accepted, back, failed }, colour) {
  context.globalAlpha = strength
  context.lineWidth = 2.5
  context.strokeStyle = context.fillStyle = failed ? colour.failed : back ? colour.back : colour.given
  context.beginPath()
  if (failed) {
    context.lineWidth = 4
    context.moveTo(x - 6, y - 6); context.lineTo(x + 6, y + 6)
    context.moveTo(x + 6, y - 6); context.lineTo(x - 6, y + 6)
  } else {
    context.arc(x, y, 5, 0, 2 * Math.PI)
    if (accepted) context.fill()
  }
  context.stroke()
}

// forgetDots removes all dots.
function forgetDots() {
  dots.clear()
  shown.clear()
}
