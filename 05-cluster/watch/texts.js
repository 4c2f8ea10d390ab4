'use strict'
// The texts of the page. The first of the browser's languages that is here decides.
const texts = {
  en: {
    title: 'A cluster at work',
    intro: 'A toy cluster, started for this page: disturb it as you like. Each dot is the connection of a visitor.',
    stage: 'From the port to a worker',
    port: 'port', primary: 'primary',
    waiting: 'connections wait in the queue',
    legendGiven: 'pending: given to a worker, not accepted', legendAccepted: 'accepted',
    legendBack: 'came back from a dead worker', legendFailed: 'lost',
    do: 'Disturb it',
    reload: 'reload', broken: 'reload to a broken program', more: 'one worker more', fewer: 'one worker less',
    kills: '100 kills', policy: 'policy: the cluster is started again', visitors: 'visitors per second',
    visit: 'one visitor', slow: 'some slow visits',
    numbers: 'What the visitors saw',
    answered: 'answered', failed: 'failed', returned: 'came back', longest: 'longest wait',
    rate: 'answers a second, over the last minute; a line where something was done',
    rung: 'rung', lost: 'lost', why: 'how far the connection had come, and what happens to it',
    rung0: 'In the kernel’s queue: it waits for the next worker, because the port belongs to the primary.',
    rung1: 'Given to a worker that had not accepted it: the primary still has it, and gives it to another worker.',
    rung2: 'Accepted, nothing answered: the worker may have acted on the request, so nobody may repeat it. It is lost with its worker.',
    rung3: 'Partly answered: the client has the beginning, which nobody else can continue. It is lost with its worker.',
    log: 'The primary’s log',
    worker: 'worker', slot: 'slot', accepted: 'accepted', pending: 'pending', memory: 'memory', age: 'age',
    kill: 'kill', freeze: 'freeze', wake: 'wake',
    frozen: 'frozen?', starting: 'starting', online: 'online', listening: 'listening', leaving: 'leaving', disconnected: 'disconnected',
    policy_rr: 'rr: the primary gives each connection to an idle worker, in turn.',
    policy_none: 'none: the workers take connections from the kernel themselves. The primary sees none, and can save none.',
    policy_sticky: 'sticky: one address always goes to the same worker. Here all visitors have one address.',
    restarting: 'The cluster is being started.',
    live: 'live', gone: 'no answer: the program has ended, or 64 pages are open. Trying again …',
    reload_running: 'reload: running', reload_done: 'reload: every worker was replaced',
    reload_failed: 'reload: failed, and the old workers that remained serve on', reload_canceled: 'reload: ended early',
    killing: (k) => `${k.done} of ${k.of} workers killed …`,
    killed: (k) => `${k.done} kills in ${(k.took / 1000).toFixed(1)} s, ${k.totals.answered} answers. Lost before a worker had accepted: ` +
      `${k.totals.failed[0] + k.totals.failed[1]}; after it: ${k.totals.failed[2] + k.totals.failed[3]}. Came back: ${k.totals.returned}.`,
    other: '中文',
  },
  zh: {
    title: '看集群怎样工作',
    intro: '这个集群专为本页启动，可以随意捣乱。每个圆点是一个访客的连接。',
    stage: '从端口到工作进程',
    port: '端口', primary: '主进程',
    waiting: '个连接在队列里等待',
    legendGiven: '待接受：已交给工作进程', legendAccepted: '已接受',
    legendBack: '从死去的工作进程回来', legendFailed: '丢失',
    do: '捣乱',
    reload: '平滑重载', broken: '重载为有故障的程序', more: '增加一个工作进程', fewer: '减少一个工作进程',
    kills: '连杀 100 次', policy: '调度策略：集群会重新启动', visitors: '每秒访客数',
    visit: '来一个访客', slow: '部分访问较慢',
    numbers: '访客看到的结果',
    answered: '得到应答', failed: '失败', returned: '回来', longest: '最长等待',
    rate: '每秒应答数，最近一分钟；竖线处有人操作',
    rung: '阶段', lost: '丢失', why: '连接走到了哪一步，以及它的结局',
    rung0: '在内核的队列里：端口归主进程所有，所以它等下一个工作进程。',
    rung1: '已交给工作进程，还没有接受：主进程手里还有它，会转给另一个工作进程。',
    rung2: '已接受，还没有应答：请求可能已经处理，谁也不能重做。它随工作进程一起丢失。',
    rung3: '应答了一部分：客户端已经收到开头，别人无法接着写。它随工作进程一起丢失。',
    log: '主进程的日志',
    worker: '工作进程', slot: '槽位', accepted: '已接受', pending: '待接受', memory: '内存', age: '存活',
    kill: '杀死', freeze: '冻结', wake: '唤醒',
    frozen: '冻结了？', starting: '正在启动', online: '已加入', listening: '正在监听', leaving: '正在离开', disconnected: '通道已断开',
    policy_rr: 'rr（轮询）：主进程把每个连接依次交给空闲的工作进程。',
    policy_none: 'none（抢占）：工作进程自己从内核取连接。主进程看不到连接，也就无法挽救。',
    policy_sticky: 'sticky（粘滞）：同一地址总是交给同一个工作进程。这里所有访客的地址相同。',
    restarting: '集群正在启动。',
    live: '实时', gone: '没有应答：程序已经结束，或者已有 64 个页面在看。正在重试……',
    reload_running: '重载：进行中', reload_done: '重载：工作进程已全部替换',
    reload_failed: '重载：失败，剩下的旧工作进程继续服务', reload_canceled: '重载：提前结束',
    killing: (k) => `已杀死 ${k.done} 个，共 ${k.of} 个……`,
    killed: (k) => `${(k.took / 1000).toFixed(1)} s 内杀死 ${k.done} 次，应答 ${k.totals.answered} 个。接受之前丢失 ` +
      `${k.totals.failed[0] + k.totals.failed[1]} 个，之后丢失 ${k.totals.failed[2] + k.totals.failed[3]} 个，回来 ${k.totals.returned} 个。`,
    other: 'English',
  },
}

let language = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => texts[tag]) ?? 'en'

const say = (key) => texts[language][key] ?? key

// translate shows the texts of a part of the page in the language.
function translate(part) {
  for (const element of part.querySelectorAll('[data-text]')) element.textContent = say(element.dataset.text)
}
