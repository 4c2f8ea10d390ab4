# A worker of chapter 04 in Python: it takes the listening socket from the channel, and serves.
import json, os, select, socket

channel = socket.socket(fileno=int(os.environ.pop('NODE_CHANNEL_FD')))
channel.set_inheritable(False)  # a process that this one starts must not have it
server, unread, arrived = None, b'', []


def send(message):
    channel.sendall(json.dumps(message).encode() + b'\n')


def receive():
    """Reads once, and handles the whole lines. It returns False when the primary has ended."""
    global unread
    data, descriptors, _, _ = socket.recv_fds(channel, 65536, 4)
    arrived.extend(descriptors)
    *lines, unread = (unread + data).split(b'\n')
    return data != b'' and all([handle(json.loads(line)) for line in lines])


def handle(message):
    """Handles one message. It returns False if the worker must stop."""
    global server
    if message.get('cmd') != 'NODE_HANDLE':
        return message.get('act') != 'stop'
    if not arrived:
        send({'cmd': 'NODE_HANDLE_NACK'})  # this process is short of descriptors
        return True
    send({'cmd': 'NODE_HANDLE_ACK'})
    server = socket.socket(fileno=arrived.pop(0))
    server.set_inheritable(False)  # recv_fds cannot set MSG_CMSG_CLOEXEC
    send({'act': 'ready'})
    return True


def answer():
    try:
        client, _ = server.accept()
    except BlockingIOError:  # another worker was faster
        return
    with client:
        client.recv(65536)
        body = f'worker {os.getpid()}, in Python\n'
        client.sendall(f'HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}'.encode())


running = True
while running:
    ready, _, _ = select.select([channel] + ([server] if server else []), [], [])
    if server in ready:
        answer()
    if channel in ready:
        running = receive()
