#!/bin/sh
# A child of chapter 03 in shell: it sends a message, and prints one.
echo '{"foo":"bar"}' >&"$NODE_CHANNEL_FD"
read -r message <&"$NODE_CHANNEL_FD"
echo "[sub $$] message from parent $PPID: $message"
