# Asks each guest something every 0.3 s, in whichever domain it is by then, and takes the answers away, until there is a
# file "stop" in $folder. Lines of "sent" are "<domain> <request>", lines of "answers" "<path>: <answer>". Sourced.
rm -rf "$folder" && mkdir -p "$folder" && cd "$folder" || exit
number=0
collect() { # what there is of $home's answers
    set -- $(xenstore-list -p "$home/data/guest" 2>/dev/null)
    [ $# -eq 0 ] || { xenstore-read -p "$@" >>answers && xenstore-rm "$@"; } 2>/dev/null
}
guests() {
    for domain in $(xenstore-list /local/domain); do
        [ "$domain" = 0 ] || ! xenstore-exists /local/domain/$domain/name || echo $domain
    done
}
while [ ! -e stop ]; do
    for domain in $(guests); do
        home=/local/domain/$domain number=$((number + 1))
        # Noted first: a request that is not noted could be answered.
        echo "$domain r$number" >>sent
        xenstore-write $home/data/host/r$number "{\"name\": \"r$number\", \"value\": \"\"}"
        collect
    done
    sleep 0.3
done
for domain in $(guests); do
    home=/local/domain/$domain
    for attempt in $(seq 120); do
        [ -n "$(xenstore-list $home/data/host)" ] || break
        sleep 0.5
    done
    collect
done
touch done
