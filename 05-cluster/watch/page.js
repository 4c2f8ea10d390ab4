'use strict'
// The page shows a frame: what the primary and the visitors report, ten times a second. frame.go
// says what is in it.

const find = (id) => document.getElementById(id)
const cards = new Map() // by the worker's ID
let frame // the last one

function show(f) {
  frame = f
  showPrimary(f)
  showWorkers(f.workers)
  showMoves(f.moves, find('port'), cards)
  showNumbers(f)
  showChart(find('chart'), f.now, f.rate, f.marks)
  showLog(f.log)
}

// set changes a text only if it has changed: else it could not be selected.
function set(element, text) {
  if (element.textContent !== String(text)) element.textContent = text
}

function showPrimary(f) {
  set(find('address'), f.address || '–')
  set(find('primary'), f.primary || '–')
  set(find('waiting'), f.waiting)
  set(find('policy-sentence'), f.primary ? say(`policy_${f.policy}`) : say('restarting'))
  set(find('outcome'), outcome(f))
  for (const button of document.querySelectorAll('[data-policy]')) press(button, button.dataset.policy === f.policy)
  for (const button of document.querySelectorAll('[data-rate]')) press(button, Number(button.dataset.rate) === f.visitors.rate)
  press(find('slow'), f.visitors.slow)
  for (const code of document.querySelectorAll('[data-command]')) {
    set(code, code.dataset.command.replace('PRIMARY', f.primary || 'PID').replace('ADDRESS', f.address))
  }
}

const press = (button, on) => button.setAttribute('aria-pressed', on)

// outcome says what came of the last long action.
function outcome({ kills, reload }) {
  if (kills?.running) return say('killing')(kills)
  return [kills && say('killed')(kills), reload && say(`reload_${reload}`)].filter(Boolean).join(' ')
}

function showWorkers(workers) {
  const gone = new Set(cards.keys())
  for (const worker of workers) {
    if (cards.get(worker.id)?.dataset.pid !== String(worker.pid)) { // a new cluster counts from 1 again
      cards.get(worker.id)?.remove()
      cards.set(worker.id, addCard(worker))
    }
    gone.delete(worker.id)
    showCard(cards.get(worker.id), worker)
  }
  for (const id of gone) {
    cards.get(id).remove()
    cards.delete(id)
  }
}

// addCard makes a worker's card.
function addCard({ id, pid }) {
  const card = find('card').content.firstElementChild.cloneNode(true)
  card.dataset.pid = pid
  translate(card)
  for (const [action, command] of [['kill', 'kill -9'], ['freeze', 'kill -STOP'], ['wake', 'kill -CONT']]) {
    const button = card.querySelector(`.${action}`)
    button.title = `${command} ${pid}`
    button.onclick = () => act(`${action}?worker=${id}`)
  }
  return card
}

// placeCard puts a card after those with lower slots, so that a replacement takes the place of what it
// replaces. A worker without a slot comes last.
function placeCard(card, slot) {
  const order = (slot) => slot < 0 ? Infinity : slot
  const next = [...find('workers').children].find((other) => other !== card && order(Number(other.dataset.slot)) > order(slot))
  find('workers').insertBefore(card, next ?? null)
  card.dataset.slot = slot
}

function showCard(card, worker) {
  const field = (name, text) => set(card.querySelector(`.${name}`), text)
  const state = worker.frozen ? 'frozen' : worker.state
  card.dataset.state = state
  if (card.dataset.slot !== String(worker.slot)) placeCard(card, worker.slot)
  field('pid', worker.pid)
  field('id', worker.id)
  field('slot', worker.slot < 0 ? '–' : worker.slot)
  field('state', say(state))
  field('accepted', worker.accepted ?? '–')
  field('pending', worker.pending ?? '–')
  field('memory', worker.memory ? `${(worker.memory / 2 ** 20).toFixed(1)} MiB` : '–')
  field('age', `${Math.floor(worker.age / 1000)} s`)
}

function showNumbers({ totals, rate }) {
  set(find('answered'), totals.answered)
  set(find('failed'), totals.failed.reduce((sum, n) => sum + n))
  set(find('returned'), totals.returned)
  set(find('longest'), `${totals.longest} ms`)
  set(find('rate'), rate)
  totals.failed.forEach((n, i) => set(find('rungs').rows[i].cells[1], n))
}

// showLog keeps the end in view, unless the reader has scrolled up.
function showLog(lines) {
  const log = find('log'), text = lines.join('\n')
  if (log.textContent === text) return
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4
  log.textContent = text
  if (atEnd) log.scrollTop = log.scrollHeight
}

// act asks the primary for something. If it cannot be done now, the page says so for a while.
async function act(what) {
  const response = await fetch(what, { method: 'POST' }).catch(() => null)
  if (response?.ok) return
  set(find('link'), say(response ? 'notNow' : 'gone'))
  if (response) setTimeout(showLink, 4000)
}

const showLink = () => set(find('link'), say(source.readyState === EventSource.OPEN ? 'live' : 'gone'))

// watch opens the stream of frames, and opens it again when it ends.
let source
function watch() {
  source?.close()
  if (document.hidden) return // a hidden page needs no visitors
  source = new EventSource('frames')
  source.onopen = () => { forgetDots(); showLink() }
  source.onmessage = (event) => show(JSON.parse(event.data))
  source.onerror = () => {
    showLink()
    if (source.readyState === EventSource.CLOSED) setTimeout(watch, 2000)
  }
}

function speak(tongue) {
  language = tongue
  document.documentElement.lang = tongue
  document.title = say('title')
  translate(document)
  find('language').textContent = say('other')
  find('language').lang = tongue === 'en' ? 'zh' : 'en'
  if (source) showLink()
  if (frame) show({ ...frame, moves: [] })
}

for (const button of document.querySelectorAll('[data-do]')) button.onclick = () => act(button.dataset.do)
find('slow').onclick = () => act(`slow?to=${find('slow').getAttribute('aria-pressed') !== 'true'}`)
find('language').onclick = () => speak(language === 'en' ? 'zh' : 'en')
document.addEventListener('visibilitychange', watch)
speak(language)
watch()
