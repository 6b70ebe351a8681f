package notify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/textproto"
	"time"
)

const (
	// firstMailRetry and lastMailRetry are the waits before another attempt; they double.
	firstMailRetry = 5 * time.Second
	lastMailRetry  = 5 * time.Minute
)

// mailer is the mail that waits, under Notifier.mu.
type mailer struct {
	queue  queue[letter]
	mailed map[mailed]State // the state last mailed
	// failing counts attempts that failed since the last that did not.
	failing uint64
}

// mailed is what mails are about: a subject, or one condition of it.
type mailed struct {
	Subject
	condition string
}

// letter is one mail.
type letter struct {
	event Event
	// to are the recipients that have not got it; nil means all.
	to []string
}

func newMailer() mailer {
	return mailer{queue: newQueue[letter](maxMails), mailed: make(map[mailed]State)}
}

// forget forgets the subjects that are in no rules any more.
func (m *mailer) forget(c *Config) {
	maps.DeleteFunc(m.mailed, func(of mailed, _ State) bool {
		return !c.rulesFor(&Event{Subject: of.Subject}).Mail
	})
}

// tellMail queues a mail about e unless the last one said the same. n.mu is held.
func (n *Notifier) tellMail(e Event) {
	m := &n.mail
	about := mailed{e.Subject, e.Condition}
	if m.mailed[about] == e.State || m.mailed[about] == 0 && e.State == Cleared {
		return
	}
	m.mailed[about] = e.State
	if e.State == Cleared {
		delete(m.mailed, about) // there is no end of what may be wrong for a while
	}
	dropped, full := m.queue.put(time.Now(), letter{event: e})
	if full && loud(m.queue.dropping) {
		n.warn("mail dropped", "subject", dropped.event.String(), "seq", dropped.event.Seq,
			"at", dropped.event.Time, "reason", "queue full", "count", m.queue.dropping)
	}
}

// runMail sends mail until ctx ends, and then makes one more attempt to send what is left, which
// hard bounds.
func (n *Notifier) runMail(ctx, hard context.Context) {
	wait := firstMailRetry
	for {
		ending := ctx.Err() != nil
		err := n.sendMail(hard)
		if ending {
			return
		}
		var again <-chan time.Time
		if err == nil {
			wait = firstMailRetry
		} else {
			again = time.After(wait)
			wait = min(2*wait, lastMailRetry)
		}
		n.awaitMail(ctx, again)
	}
}

// awaitMail waits for ctx, or for again, or, if that is nil, for mail.
func (n *Notifier) awaitMail(ctx context.Context, again <-chan time.Time) {
	news := n.mail.queue.wake
	if again != nil {
		news = nil
	}
	select {
	case <-ctx.Done():
	case <-news:
	case <-again:
	}
}

// sendMail sends what waits, in one session. An error means that something is to be tried again.
func (n *Notifier) sendMail(ctx context.Context) error {
	l, ok := n.nextMail()
	if !ok {
		return nil
	}
	n.mu.Lock()
	cfg, router := n.config.Mail, n.config.Router
	n.mu.Unlock()
	if cfg.Server == "" {
		n.mailFailed(&l, errors.New("no mail server is configured any more"))
		return nil
	}
	s, err := openSession(ctx, &cfg, n.options.Dial)
	if err != nil {
		n.mailDeferred(&l, err)
		return err
	}
	defer s.close()
	for ; ok; l, ok = n.nextMail() {
		if l.to == nil {
			l.to = cfg.To
		}
		err := s.send(&l, compose(&l.event, router, &cfg))
		switch {
		case err == nil:
			n.mailDone()
		case permanent(err):
			n.mailFailed(&l, err)
		default:
			n.mailDeferred(&l, err)
			return err
		}
	}
	return nil
}

// permanent says whether the server has refused for good (RFC 5321, Section 4.2.1).
func permanent(err error) bool {
	refusal, ok := errors.AsType[*textproto.Error](err)
	return ok && refusal.Code >= 500 && refusal.Code < 600
}

func (n *Notifier) nextMail() (letter, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mail.queue.take()
}

func (n *Notifier) mailDone() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mail.queue.c.Done++
	n.mail.failing = 0
}

// mailFailed takes down that a mail will never be sent.
func (n *Notifier) mailFailed(l *letter, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := &n.mail.queue.c
	c.Failed++
	c.note(time.Now(), err.Error())
	n.warn("mail refused", "subject", l.event.String(), "seq", l.event.Seq, "err", err)
}

// mailDeferred puts a mail back for another attempt.
func (n *Notifier) mailDeferred(l *letter, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	q := &n.mail.queue
	q.back(time.Now(), *l)
	q.c.Retries++
	q.c.note(time.Now(), err.Error())
	n.mail.failing++
	if loud(n.mail.failing) {
		n.warn("mail not sent; trying again", "subject", l.event.String(), "seq", l.event.Seq,
			"err", err, "waiting", len(q.items), "count", n.mail.failing)
	}
}

// String returns what e says in words: "instance VI_1 is MASTER", "split_brain of VI_1 is RAISED".
func (e Event) String() string {
	if e.Kind == Condition {
		return fmt.Sprintf("%s of %s is %s", printable(e.Condition), printable(e.Name), e.State)
	}
	return fmt.Sprintf("%s is %s", e.Subject, e.State)
}
