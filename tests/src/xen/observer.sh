#!/bin/sh
# Runs in a guest, beside the agent under test, and says what is really there: the test must not believe the agent.
# Reads lines "<number> <script, base64>" from the guest's console, and prints what the script printed as lines
# "@<number> <base64>", then "@<number>. <status> <length>". Started as: busybox sh observer.sh
/bin/busybox mkdir -p /observer/bin
/bin/busybox --install -s /observer/bin
export PATH=/observer/bin
exec </dev/hvc0 >/dev/hvc0 2>&1
stty -echo
cd /observer
printf '\n@ready\n'
while read -r number script; do
    echo "$script" | base64 -d >script
    sh script >output 2>&1 </dev/null
    status=$?
    printf '\n'
    base64 -w 60 output | sed "s/^/@$number /"
    printf '@%s. %s %s\n' "$number" "$status" "$(stat -c %s output)"
done
