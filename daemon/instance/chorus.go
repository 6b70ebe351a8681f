package instance

import (
	"net/netip"

	"github.com/tandemlb/tandem/daemon/netif"
)

// Chorus is a Link that can announce its addresses in one breath with those of other links of its
// host. It is what a group with two sides needs: between the announcements of the one and of the other
// requests come in through one router and answers go out through another, which knows nothing of them.
type Chorus interface {
	// AnnounceAll sends one announcement for each address, and returns for each of all what Announce
	// of its link would; nil is no error at all.
	AnnounceAll(all []Announcement) []error
}

// Announcement is addresses that are on a link.
type Announcement struct {
	Link  Link
	Addrs []netip.Addr
}

// AnnounceAll is Chorus's. All links are of the same host.
func (l hostLink) AnnounceAll(all []Announcement) []error {
	on := make([]netif.Announcement, len(all))
	for i, a := range all {
		on[i] = netif.Announcement{On: a.Link.(hostLink).Interface, Addrs: a.Addrs}
	}
	return l.Host.AnnounceAll(on)
}

// speakTogether sends the first announcements of all bursts that need not keep a pace, if there are
// several and the links can. The rest is for speak.
func (k *keeper) speakTogether() {
	var all []Announcement
	var bursts []*burst
	var members []int
	for member, h := range k.kept {
		for i := range h.bursts {
			if b := &h.bursts[i]; b.every == 0 {
				all = append(all, Announcement{b.link, b.addrs})
				bursts, members = append(bursts, b), append(members, member)
			}
		}
	}
	if len(all) < 2 {
		return
	}
	chorus, ok := all[0].Link.(Chorus)
	if !ok {
		return
	}
	errs := chorus.AnnounceAll(all)
	for i, b := range bursts {
		b.frames -= len(b.addrs)
		if errs != nil && errs[i] != nil {
			b.frames = 0
			k.failed(members[i], errs[i])
		}
	}
}
