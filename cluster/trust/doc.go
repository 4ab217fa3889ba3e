// Package trust owns certificates: it makes those of a private authority
// (authority.go), keeps them in files (store.go), shows them (show.go), and
// gives a process what TLS wants of them, anew when the files change
// (credentials.go, config.go).
//
// It promises that who a certificate speaks for is its one name troupe://ROLE/NAME
// and nothing else, the same for whoever asks; and that files which are
// changed badly leave those in use that were.
package trust
