#!/bin/sh
# dracut, before udev starts: the file for this image's own network manager, the first style in the list. Interfaces
# have no final names yet and are not touched: the files name them by their MAC address.
# dracut sources this: nothing here may exit.

if read -r nanova_styles < /etc/nanova/handover; then
    /usr/lib/nanova/early-network --network files --handover "${nanova_styles%%,*}"
fi
unset nanova_styles
