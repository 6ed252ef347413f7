package fakeas

import (
	"errors"
	"fmt"
	"strings"
)

// Person has an account.
type Person struct {
	Subject string // the identifier, as in GET /me
	Name    string // empty: the subject
	Email   string // may be empty; login_hint finds a person by it or by the subject
}

// completePeople fills in the defaults.
func (o *settings) completePeople() error {
	if o.People == nil {
		o.People = []Person{
			{Subject: "ada", Name: "Ada Example", Email: "ada@example.test"},
			{Subject: "grace", Name: "Grace Example", Email: "grace@example.test"},
		}
	}
	people := make([]Person, 0, len(o.People))
	seen := make(map[string]bool)
	for _, p := range o.People {
		if p.Subject == "" || seen[p.Subject] {
			return fmt.Errorf("fakeas: the subject %q is empty or has two accounts", p.Subject)
		}
		if p.Name == "" {
			p.Name = p.Subject
		}
		seen[p.Subject] = true
		people = append(people, p)
	}
	if len(people) == 0 {
		return errors.New("fakeas: nobody has an account")
	}
	o.People = people
	return nil
}

// person returns the account of a subject, or one with that name only.
func (o *settings) person(subject string) (p Person, known bool) {
	for _, p := range o.People {
		if p.Subject == subject {
			return p, true
		}
	}
	return Person{Subject: subject, Name: subject}, false
}

// hinted returns the account that a login_hint means.
func (o *settings) hinted(hint string) (Person, bool) {
	for _, p := range o.People {
		if hint != "" && (p.Subject == hint || strings.EqualFold(p.Email, hint)) {
			return p, true
		}
	}
	return Person{}, false
}
