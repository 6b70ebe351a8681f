package ipvs

import (
	"context"
	"maps"
	"slices"
	"time"
)

// passAll makes the whole table what is wanted.
func (r *Reconciler) passAll(ctx context.Context, now time.Time, want Services, status *Status) {
	for i := range want {
		r.ours[want[i].Key] = true
	}
	if some, enough := r.doubtful(want); enough {
		r.due = now.Add(Interval)
		r.glances--
		r.passDoubtful(ctx, now, want, some, status)
		return
	}
	r.glances = 0
	have, err := r.list(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.due = r.relist.failed(now)
		r.logChange(status.List, err, "read table")
		status.List = err
		return
	}
	status.List, r.relist, r.due = nil, retry{}, now.Add(Interval)
	r.glances = glanceFull
	r.forget(have, want)
	wrong := r.repair(ctx, now, have, want, nil, status)
	for k := range r.ours {
		if !wrong[k] {
			r.settle(k)
		}
	}
}

// passDoubtful looks at those services of want that may not be right, and at those of ours that are
// not wanted.
func (r *Reconciler) passDoubtful(
	ctx context.Context, now time.Time, want, doubtful Services, status *Status,
) {
	waits := func(k Key) bool { return r.retry[k] != nil && now.Before(r.retry[k].at) }
	var some Services
	var keys []Key
	for _, s := range doubtful {
		if !waits(s.Key) {
			some, keys = append(some, s), append(keys, s.Key)
		}
	}
	for _, k := range r.left(want) {
		if !waits(k) {
			keys = append(keys, k)
		}
	}
	if len(keys) > 0 {
		r.passSome(ctx, now, some, keys, status)
	}
}

// left returns the keys of services that are ours and not wanted, sorted.
func (r *Reconciler) left(want Services) []Key {
	if len(r.ours) <= len(want) { // all that is wanted is ours
		return nil
	}
	wanted := make(map[Key]bool, len(want))
	for i := range want {
		wanted[want[i].Key] = true
	}
	var keys []Key
	for k := range r.ours {
		if !wanted[k] {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, Key.compare)
	return keys
}

// passSome makes the services of keys what is wanted of them, which is that they are not there if
// they are not in want.
func (r *Reconciler) passSome(
	ctx context.Context, now time.Time, want Services, keys []Key, status *Status,
) {
	wanted := make(map[Key]bool, len(want))
	for i := range want {
		wanted[want[i].Key], r.ours[want[i].Key] = true, true
	}
	var have Services
	unknown := make(map[Key]bool)
	for _, k := range keys {
		s, err := r.table.Get(ctx, k)
		if err != nil {
			r.fail(now, k, err)
			unknown[k] = true
			continue
		}
		have = append(have, s...)
	}
	if ctx.Err() != nil {
		return
	}
	wrong := r.repair(ctx, now, have, want, unknown, status)
	for _, k := range keys {
		switch {
		case wrong[k] || unknown[k]:
		case wanted[k]:
			r.settle(k)
		default:
			r.forgetOne(k)
		}
	}
}

// list returns our part of the table.
func (r *Reconciler) list(ctx context.Context) (Services, error) {
	all, err := r.table.List(ctx)
	if err != nil {
		return nil, err
	}
	var have Services
	for _, s := range all {
		if r.ours[s.Key] || r.options.Owns(s.Key) {
			have = append(have, s)
		}
	}
	return have, nil
}

// forget drops what is neither wanted nor there any more: if it comes again it is somebody else's.
func (r *Reconciler) forget(have, want Services) {
	keep := make(map[Key]bool, len(want))
	for _, s := range slices.Concat(have, want) {
		keep[s.Key] = true
	}
	gone := func(k Key) bool { return !keep[k] }
	maps.DeleteFunc(r.ours, func(k Key, _ bool) bool { return gone(k) })
	maps.DeleteFunc(r.settled, func(k Key, _ bool) bool { return gone(k) })
	maps.DeleteFunc(r.retry, func(k Key, _ *retry) bool { return gone(k) })
}

// forgetOne drops a service that is not wanted, and has gone.
func (r *Reconciler) forgetOne(k Key) {
	delete(r.ours, k)
	delete(r.settled, k)
	delete(r.retry, k)
}
