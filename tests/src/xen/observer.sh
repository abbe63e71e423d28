#!/bin/sh
# Runs in a guest, beside the agent under test, and says what is really there: the test must not believe the agent.
# Reads lines "<number> <try> <script, base64>" from the guest's console, and prints what the script printed as lines
# "@<number>.<try> <base64>", then "@<number>.<try>. <status> <length>". A script asked for in a second try, because
# other output tore the answer, is not run a second time. Started as: busybox sh observer.sh
/bin/busybox mkdir -p /observer/bin
/bin/busybox --install -s /observer/bin
export PATH=/observer/bin
exec </dev/hvc0 >/dev/hvc0 2>&1
stty -echo
cd /observer
printf '\n@ready\n'
last=
while read -r number try script; do
    if [ "$number" != "$last" ]; then
        echo "$script" | base64 -d >script
        sh script >output 2>&1 </dev/null
        status=$?
        last=$number
    fi
    printf '\n'
    base64 -w 60 output | sed "s/^/@$number.$try /"
    printf '@%s.%s. %s %s\n' "$number" "$try" "$status" "$(stat -c %s output)"
done
