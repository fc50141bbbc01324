package idp

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// NoticeKind is what a terminal's notice asks of the people who stand at it.
type NoticeKind string

const (
	NoticeStop    NoticeKind = "stop"    // a recovery runs, or was done: whoever sees it may stop it, and freeze the account
	NoticeCode    NoticeKind = "code"    // a code with which one of the shop's people comes in again
	NoticeConfirm NoticeKind = "confirm" // somebody who recovers asks the people at the terminal to pick his digits
	NoticeCall    NoticeKind = "call"    // what one of the shop's people and support read to each other on the telephone
)

// NoticeAnswer is what came of a notice.
type NoticeAnswer string

const (
	NoticeStopped   NoticeAnswer = "stopped"
	NoticeConfirmed NoticeAnswer = "confirmed" // the right digits were picked
	NoticeWrong     NoticeAnswer = "wrong"     // other digits were: that ends it
)

// TerminalNotice is what the screen or the next slip of a merchant's terminals says, of
// one or of all of them, until it is answered at one.
type TerminalNotice struct {
	ID, MerchantID string
	TerminalID     string // "": all of the merchant's
	UserID         string // whom it is about
	Kind           NoticeKind
	Params         NoticeParams
	CreatedAt      time.Time
	Until          time.Time
	SeenAt         time.Time // first shown
	AnsweredAt     time.Time
	AnsweredBy     string // the terminal
	Answer         NoticeAnswer
}

// NoticeParams are what the sentence of a notice is made of.
type NoticeParams struct {
	Name    string    `json:"name"`              // of the person
	Due     time.Time `json:"due,omitzero"`      // when what runs takes effect
	Done    bool      `json:"done,omitempty"`    // it has taken effect
	Code    string    `json:"code,omitempty"`    // of a stop: what is typed at a terminal without a touch screen
	Choices []int     `json:"choices,omitempty"` // of a confirmation: the digits to pick from
}

// NewStopCode returns four digits by which people name a notice that they read on paper.
func NewStopCode() string { return fmt.Sprintf("%04d", randomBelow(10_000)) }

// NewChoices returns two digits, and three to pick them from.
func NewChoices() (match int, choices []int) {
	for len(choices) < 3 {
		n := 10 + randomBelow(90)
		if !slices.Contains(choices, n) {
			choices = append(choices, n)
		}
	}
	return choices[randomBelow(len(choices))], choices
}

func randomBelow(n int) int {
	v, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		panic(err) // crypto/rand never fails since Go 1.24
	}
	return int(v.Int64())
}
