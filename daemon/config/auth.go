package config

import "fmt"

func authTable() *table[Auth] {
	return newTable("authentication", []keyword[Auth]{
		leaf("auth_type", "", oneOf(authTypes), func(a *Auth) *AuthType { return &a.Type },
			"kind of authentication; AH is refused").as(otherwise[Auth]("none: it must be given")),
		leaf("auth_pass", "", text("a password of up to 8 characters"),
			func(a *Auth) *string { return &a.Password }, "the password").
			as(otherwise[Auth]("none: it must be given")),
	})
}

func setAuth(d *decoder, b *instanceBlock, a *Auth, n *Node) {
	d.noArguments(n)
	if len(a.Password) > 8 {
		d.warn(n.Pos(), "auth_pass: expected up to 8 characters; the rest is cut off")
		a.Password = a.Password[:8]
	}
	switch {
	case a.Type == AuthNone:
		d.fail(n.Pos(), "authentication: expected auth_type PASS or AH in it")
	case a.Type == AuthHeader:
		d.fail(n.placeOf("auth_type"), "auth_type \"AH\": expected PASS, or version 3 and no "+
			"authentication: RFC 3768 has given AH up, and peers that want it would take no advert")
		*a = Auth{}
	case a.Password == "":
		d.fail(n.Pos(), "authentication: expected auth_pass in it")
	}
	b.Auth = *a
}

// hmacKeyword is the authentication that keepalived 2.4 has.
func hmacKeyword() keyword[instanceBlock] {
	inner := hmacTable()
	return nested("auth_hmac", inner, zero[instanceBlock, HMAC],
		func(d *decoder, b *instanceBlock, h *HMAC, n *Node) {
			d.noArguments(n)
			b.HMAC = h
		}, "a keyed digest behind each advert").
		as(writes(inner, zero[instanceBlock, HMAC], func(b *instanceBlock) []HMAC {
			if b.HMAC == nil {
				return nil
			}
			return []HMAC{*b.HMAC}
		}, nil))
}

func hmacTable() *table[HMAC] {
	type b = HMAC
	id := number[uint8](0, 255)
	return newTable("auth_hmac", []keyword[b]{
		{
			name: "key", usage: "a number from 0 to 255 and hex:…, file:… or text", many: true,
			doc: "a key of 32 to 64 bytes",
			set: func(d *decoder, h *b, n *Node) {
				ws, ok := arguments(d, n, words("a number and a key", 2, 2))
				var k HMACKey
				if ok && !into(id, n.Args()[0], &k.ID) {
					d.misfit(n, 0, id.usage, nil)
				} else if ok {
					k.Secret = ws[1]
					h.Keys = append(h.Keys, k)
				}
			},
			write: func(p *printer, _ *keyword[b], h, _ *b) {
				for _, k := range h.Keys {
					p.statement(false, "key", []string{fmt.Sprint(k.ID), k.Secret})
				}
			},
		},
		leaf("active_key", "", id, func(h *b) *uint8 { return &h.Active }, "the key to send with"),
		leaf("anti_replay", "", choice("time", "monotonic"),
			func(h *b) *string { return &h.AntiReplay }, "how repeated adverts are found out"),
		leaf("time_window", "", number[int](1, 300), func(h *b) *int { return &h.Window },
			"seconds that clocks may differ"),
		leaf("mode", "", choice("enforce", "permissive", "receive-only"),
			func(h *b) *string { return &h.Mode }, "what becomes of adverts without it"),
	})
}
