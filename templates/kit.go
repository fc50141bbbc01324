package templates

import (
	"html/template"
	"time"
)

// Pages of the recovery kit.

// KitPaper is a kit to print: on A4 or, if Slip, as a terminal prints it (58 mm).
type KitPaper struct {
	Slip                     bool
	Back                     string // to where the codes are kept
	Host                     string // of the issuer
	Login                    string
	MerchantNo, MerchantName string // "" of the operator's own staff
	Terminals                []KitTerminal
	More                     bool // there are others
	Codes                    []string
	Made                     time.Time
	QR                       template.HTML // of the mark; "" shows none
}

// KitTerminal is a terminal of the person's shop.
type KitTerminal struct{ Tail, Model, Store string }

// KitStore is a store with the terminals in it.
type KitStore struct {
	Name      string
	Terminals []KitTerminal
}

// Stores are the terminals by store, in the order in which they come.
func (p KitPaper) Stores() (all []KitStore) {
	at := map[string]int{}
	for _, t := range p.Terminals {
		i, ok := at[t.Store]
		if !ok {
			i = len(all)
			at[t.Store] = i
			all = append(all, KitStore{Name: t.Store})
		}
		all[i].Terminals = append(all[i].Terminals, t)
	}
	return all
}

// KitFile asks for the passphrase under which the kit is saved. Inputs: passphrase, again. The answer is the file.
type KitFile struct {
	Form
	Action, Back string
	Least        int    // characters
	Address      string // where the file can be opened
}

// KitOpen asks for a kit's file. Inputs: kit, passphrase (multipart/form-data).
type KitOpen struct {
	Form
	Action string
}

// KitContents shows what was in the file.
type KitContents struct{ KitPaper }

// Page is of the paper: it has one for each size.
func (p KitPaper) Page() string {
	if p.Slip {
		return "kit-slip"
	}
	return "kit-sheet"
}

func (KitFile) Page() string     { return "kit-file" }
func (KitOpen) Page() string     { return "kit-open" }
func (KitContents) Page() string { return "kit-contents" }

// FileOpen says whether the part for the file is unfolded: what is wrong is in it.
func (b Backup) FileOpen() bool {
	for _, e := range b.Errors {
		if e.Field == "kit" || e.Field == "passphrase" {
			return true
		}
	}
	return false
}
