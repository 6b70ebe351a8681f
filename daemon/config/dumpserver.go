package config

import "fmt"

func (p *printer) server(s *VirtualServer) {
	p.block(func() {
		p.line("protocol", s.Protocol)
		p.line("lb_algo", s.Scheduler)
		p.line("lb_kind", s.Forward)
		p.line("persistence_timeout", s.Persistence)
		p.line("quorum", s.Quorum)
		p.line("hysteresis", s.Hysteresis)
		p.script("quorum_up", s.QuorumUp)
		p.script("quorum_down", s.QuorumDown)
		p.line("alpha", s.Alpha)
		p.line("omega", s.Omega)
		p.line("sorry_server", s.SorryServer)
		p.line("sorry_server_inhibit", s.SorryInhibit)
		for i := range s.RealServers {
			p.real(&s.RealServers[i])
		}
	}, "virtual_server", s.Address)
}

func (p *printer) real(r *RealServer) {
	p.block(func() {
		p.line("weight", r.Weight)
		p.line("inhibit_on_failure", r.InhibitOnFailure)
		p.line("alpha", r.Alpha)
		p.script("notify_up", r.NotifyUp)
		p.script("notify_down", r.NotifyDown)
		for i := range r.Checks {
			p.check(&r.Checks[i])
		}
	}, "real_server", r.Address)
}

func (p *printer) check(k *Check) {
	p.block(func() {
		p.line("connect_ip", k.Target.Addr())
		p.line("connect_port", k.Target.Port())
		p.line("bindto", k.Bind.Addr())
		if k.Bind.Port() != 0 {
			p.line("bind_port", k.Bind.Port())
		}
		p.line("connect_timeout", k.ConnectTimeout)
		p.line("delay_loop", k.DelayLoop)
		p.line("retry", k.Retry)
		p.line("delay_before_retry", k.DelayBeforeRetry)
		p.line("warmup", k.Warmup)
		p.line("alpha", k.Alpha)
		if k.HTTP == nil {
			return
		}
		p.line("http_protocol", k.HTTP.Version)
		for i := range k.HTTP.URLs {
			p.url(&k.HTTP.URLs[i])
		}
	}, k.Kind)
}

func (p *printer) url(u *URL) {
	p.block(func() {
		p.line("path", u.Path)
		p.line("digest", u.Digest)
		ws := []any{"status_code"}
		for _, r := range u.Status {
			ws = append(ws, fmt.Sprintf("%d-%d", r.First, r.Last))
		}
		p.line(ws...)
		p.line("virtualhost", u.Host)
	}, "url")
}
