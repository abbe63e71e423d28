#!/bin/sh
# dracut, before the root is mounted: the network itself, and the files for the real root.
# dracut sources this: nothing here may exit.

# An interface gets its final name before it is up.
udevadm settle --timeout=5
if read -r nanova_styles < /etc/nanova/handover; then
    /usr/lib/nanova/early-network --handover "$nanova_styles"
fi
unset nanova_styles
