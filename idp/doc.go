// Package idp is Hufu's vocabulary: the people, things and facts every other
// package speaks of, and the pure rules on them. It serves no route, touches no
// database and no clock, and imports the standard library only.
//
// Invariants held here: assurance is computed from proofs at each use and never
// stored ([Assess]); one function decides whether a grant may still be used
// ([Redeemable]); a [Secret] never prints itself.
package idp
