# Answers as nova would see them, and prints them: "<path>: <value>". Sourced with $folder, the guest's data/guest, set,
# and write_requests defined. Like nova it never removes an answer, so the guest must, when its quota is used up; so
# all that were announced are read at once, and each of them once. Ends when nothing was announced for three seconds.
rm -rf /tmp/burst
mkdir /tmp/burst && cd /tmp/burst || exit
echo none >read
xenstore-watch "$folder" >events &
until [ -s events ]; do sleep 0.05; done
write_requests || exit
seen=1 idle=0
while [ $idle -lt 30 ]; do
    total=$(wc -l <events)
    if [ "$total" -eq "$seen" ]; then
        idle=$((idle + 1))
        sleep 0.1
        continue
    fi
    sed -n "$((seen + 1)),${total}p" events | grep "^$folder/" | sort -u | grep -vxFf read >new
    # One that is gone again, as an older answer may be, ends a common reading.
    xargs -r xenstore-read -p <new 2>/dev/null || xargs -r -n 1 xenstore-read -p <new
    cat new >>read
    seen=$total idle=0
done
kill %1
