package main

// notes are said below a row, by its English title: what decides its figure, and what was tried.
var notes = map[string]text{
	"round trip, both ends on one CPU": {
		"Most of it is the system calls and the switches between the processes. The rest is the codec, and Go's scheduler, which gives the processor away before each read that may block, and takes it back.",
		"大部分是系统调用和进程切换。其余是编解码，以及 Go 的调度器：每次可能阻塞的读取之前，它都要交出处理器，之后再取回。",
	},
	"round trip, each end on its own CPU": {
		"Before it waits in the kernel, a reader lets other goroutines run (runtime.Gosched). Without that the row falls by a sixth, but a parent of 16 children that hands their messages to another goroutine handles a third fewer.",
		"读取者在内核里等待之前，先让其他 goroutine 运行（runtime.Gosched）。去掉它，这一行会降低六分之一；但一个有 16 个子进程的父进程，如果把消息交给别的 goroutine 处理，每秒能处理的消息会少三分之一。",
	},
	"one way, 20 B, Send": {
		"Each Send is a write, and most of them wake the receiver. Send returns once the kernel has the message, so it cannot wait for others to share a write with; SendBatch does that. Node returns from send before anything is written.",
		"每次 Send 就是一次 write，而且多半要唤醒接收方。内核收下消息之后 Send 才返回，所以它不能等着与别的消息合并成一次 write；SendBatch 可以。Node 的 send 在写出之前就返回。",
	},
	"one way, 20 B, batches of 64": {
		"64 messages share a write, so the codec decides. Each message gets memory of its own, because its receiver may keep it.",
		"64 条消息合并成一次 write，所以起决定作用的是编解码。每条消息都有自己的内存，因为接收方可以保留它。",
	},
	"one way, 1 KiB, Send": {
		"Half of the sender's time is the system call, which also wakes the receiver; most of the rest is quoting.",
		"发送方一半的时间花在系统调用上，包括唤醒接收方；其余大部分是给字符串加引号和转义。",
	},
	"one way, 1 KiB, batches of 64": {
		"The codec looks at each byte of a string, in the sender and in the receiver. At this size the collector runs over a hundred times a second, because the heap is only 4 MB; GOGC=800 shows what that costs.",
		"发送方和接收方的编解码都要逐字节地看字符串。由于堆只有 4 MB，垃圾回收每秒运行一百多次；GOGC=800 的一行说明这要花多少。",
	},
	"one way, 1 KiB, decoded into any": {
		"As with Send; and an any takes a map and a string more for each message.",
		"同 Send；此外每条消息解码为 any 还要多分配一个 map 和一个字符串。",
	},
	"one way, 1 KiB of JSON, not decoded": {
		"As with Send; the sender checks that the message is one JSON value without a newline.",
		"同 Send；发送方还要检查消息是不是一个没有换行的 JSON 值。",
	},
	"one way, 64 KiB": {
		"The codec quotes 0.45 GB/s, byte by byte; V8 uses vector instructions. Tried: check long ASCII strings eight bytes at a time, and give the codec a placeholder. The sender then needs a third of the CPU time. It is not in the project, because it helps only strings without escapes and in English, and takes 140 lines of bit arithmetic.",
		"编解码库逐字节地转义，每秒 0.45 GB；V8 用向量指令。试过的办法：每次检查 ASCII 长字符串的八个字节，只把占位符交给编解码库，发送方的 CPU 时间降到三分之一。项目没有采用：它只对不需要转义的英文字符串有效，却要 140 行位运算。",
	},
	"one way, 64 KiB of JSON, not decoded": {
		"The sender checks the JSON, byte by byte. The receiver copies each line once, into memory that the collector has just cleared.",
		"发送方逐字节检查 JSON。接收方把每一行复制一次，目标内存是运行时刚刚清零的。",
	},
	"one way, 1 MiB": {
		"As with 64 KiB. In the receiver 60 % is the codec, which checks the string byte by byte before it copies it.",
		"同 64 KiB。接收方 60 % 的时间是编解码库在复制字符串之前逐字节地检查它。",
	},
	"handles, one at a time": {
		"The receiver makes a net.Conn, for which net.FileConn duplicates the descriptor, asks for its type and both addresses, and registers it with the poller: ten system calls. The acknowledgement is read by a goroutine that then wakes the one in SendHandle. The primary of the cluster does not wait for it, and needs one system call to send a connection (TrySendConn).",
		"接收方要得到一个 net.Conn，为此 net.FileConn 复制描述符、查询类型和两端地址、注册到轮询器，共十次系统调用。读取确认的 goroutine 还要再唤醒 SendHandle 所在的那个。集群的主进程不等确认，发送一个连接只要一次系统调用（TrySendConn）。",
	},
	"handles, 16 in flight": {
		"The receiver's system calls decide, as above. One read brings one descriptor, so each is acknowledged by a write of its own.",
		"同上，取决于接收方的系统调用。一次读取只带来一个描述符，所以每个都要单独 write 一次确认。",
	},
	"cluster rr, a new connection per request": {
		"A worker with cluster.Serve may have up to 8 connections that it has not accepted, so it does not wait for the primary after each. It accepts a connection when its request begins. Accepted with accept4, sent with sendmsg, answered with one recvmsg and closed, a connection costs the primary two thirds of the CPU time that Node's needs. Policy none shows what is left to gain: no connection passes through the primary.",
		"使用 cluster.Serve 的工作进程最多可以有 8 个待接受的连接，所以不必每个连接都等主进程；请求到了，它才接受连接。主进程用 accept4 接受、sendmsg 发送、一次 recvmsg 收到回答、再 close，CPU 时间是 Node 主进程的三分之二。抢占策略说明还能快多少：连接不经过主进程。",
	},
	"cluster rr, Node workers under the Go primary": {
		"A Node worker accepts a connection at once, before its request has come, and takes it along when it is killed. So it gets one at a time, as under Node's own primary, and the two wake each other for each connection. With Settings.MaxPending 8 it answers more, and twice as many requests fail.",
		"Node 的工作进程不等请求到达就接受连接，被杀时这个连接也跟着丢。所以它和在 Node 自己的主进程下一样，一次只得到一个连接，主进程和工作进程要为每个连接互相唤醒一次。Settings.MaxPending 设为 8 时应答更多，失败的请求则多一倍。",
	},
	"cluster rr, keep-alive": {
		"The clients take half of the two cores, so the figure swings with how they are scheduled: in four runs on one day the ratio was 1.14, 1.19, 1.43 and 1.46. One process without a cluster is no faster.",
		"客户端要占用两个核的一半，所以这个数字随调度而波动：同一天的四次运行，比值分别是 1.14、1.19、1.43 和 1.46。不用集群的单个进程也不会更快。",
	},
	"requests that fail when workers are killed": {
		"These are connections that the worker had accepted. cluster.Serve accepts a connection when its request begins, so that most can still be saved; http.Serve accepts all that it is given, and so does a worker of policy none, which takes its connections from the kernel. Bun's connections wait in the queue of the dead worker's own socket.",
		"这些连接工作进程已经接受。cluster.Serve 等连接上的请求到了才接受它，其余的连接因此还能得救；http.Serve 给多少就接受多少，抢占策略的工作进程从内核取连接，也是如此。Bun 的连接在死去的工作进程自己那个套接字的队列里等待。",
	},
}
