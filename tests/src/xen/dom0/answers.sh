# Reads the answers to many requests as nova does, twice a second, and prints them: "<path>: <value>". Sourced with
# $folder, the guest's data/guest, $requests, its data/host, $home, which is there as long as the guest is, and $ids
# set, and write_requests defined. Like nova it never removes an answer; so the guest must, when its quota is used up.
# nova looks for each of its answers. Here a watch tells which there are: two hundred looks would be most of what dom0
# does. At the end it prints "waiting" if a request still waits, and how many hundredths of a second it took, and how
# many an answer may have been there before it was read, at the most: from a look that did not find it to the end of the
# next one's reading.
rm -rf /tmp/answers
mkdir /tmp/answers && cd /tmp/answers || exit
now() { # in hundredths of a second
    read -r uptime rest </proc/uptime
    now=${uptime%.*}${uptime#*.}
}
printf "$folder/%s\n" $ids >wanted
echo 0 >known
xenstore-watch "$folder" >events &
trap "kill $!" EXIT
until [ -s events ]; do sleep 0.1; done # the watch is set
write_requests || exit
now
began=$now looked=$now slowest=0 idle=0
set -- $ids
left=$#
while [ $left -gt 0 ]; do
    sleep 0.5
    before=$looked
    now
    looked=$now
    read -r known <known
    set -- $(awk -v known="$known" 'NR == FNR { wanted[$1]; next }
        !had[$1]++ && FNR > known && $1 in wanted { print $1 }
        END { print FNR >"known" }' wanted events)
    if [ $# -eq 0 ]; then
        idle=$((idle + 1))
        # For ten seconds there was nothing new: the guest is gone, or an answer will not come any more, or it takes
        # long.
        [ $((idle % 20)) -eq 0 ] || continue
        xenstore-exists "$home" || exit 4
        [ -n "$(xenstore-list "$requests" 2>&1)" ] || break
        continue
    fi
    # One that is gone again ends a common reading.
    values=$(xenstore-read -p "$@" 2>/dev/null) && echo "$values" ||
        for path; do xenstore-read -p "$path" || echo "gone: $path"; done
    left=$((left - $#)) idle=0
    now
    [ $((now - before)) -le $slowest ] || slowest=$((now - before))
done
[ -z "$(xenstore-list "$requests" 2>&1)" ] || echo waiting
now
echo "took $((now - began)) slowest $slowest"
