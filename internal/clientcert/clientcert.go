// Package clientcert says whose a client's certificate is.
//
//	user, err := clientcert.User(r.TLS.VerifiedChains[0][0], clientcert.SubjectCN)
//
// Certificates that name different people never give the same user: a name is taken as it stands, byte for byte, or in a form
// from which it can be told, and one that is there twice, is too long, or is no valid user, is refused instead of being chosen
// from, cut or mended. Whether the
// certificate is to be believed is for crypto/tls to say, before: only leaves of verified chains belong here.
//
// The package is pure, and its functions may be called from any goroutine.
package clientcert

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"hocket.dev/internal/jsonval"
)

// A Field is the part of a certificate that names its user.
type Field uint8

// The fields.
const (
	SubjectCN Field = iota // the common name of the subject
	URI                    // the URI among the alternative names, such as a SPIFFE id. '%', ':', '*' and '>' are escaped: spiffe%3A//example/ada
	DNS                    // the DNS name among them
	Email                  // the address among them
)

var fieldNames = [...]string{SubjectCN: "subject_cn", URI: "san_uri", DNS: "san_dns", Email: "san_email"}

// String returns the field as configurations name it.
func (f Field) String() string { return fieldNames[f] }

// UnmarshalText reads a field as configurations name it.
func (f *Field) UnmarshalText(text []byte) error {
	for i, name := range fieldNames {
		if string(text) == name {
			*f = Field(i)
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", text, strings.Join(fieldNames[:], ", "))
}

// maxUser is how many bytes the id of a user may have.
const maxUser = 255

// User returns the user whom the leaf names in a field. The error says why it names none, and repeats nothing of it.
func User(leaf *x509.Certificate, field Field) (string, error) {
	var names []string
	var err error
	if field == SubjectCN {
		names, err = commonNames(leaf)
	} else {
		names, err = alternativeNames(leaf, field)
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("client certificate: %w", err)
	case len(names) == 0:
		return "", fmt.Errorf("client certificate: it has no %s", field)
	case len(names) > 1:
		return "", fmt.Errorf("client certificate: it has %d of %s, so whom it means is not clear", len(names), field)
	}
	user := names[0]
	if field == URI {
		user = escape.Replace(user)
	}
	if !isUser(user) {
		return "", fmt.Errorf("client certificate: its %s is no user: that has 1 to %d bytes of UTF-8 without ':', '*', '>' and control characters, and not __proto__", field, maxUser)
	}
	return user, nil
}

// escape makes a user of a URI, which always holds a ':'.
var escape = strings.NewReplacer("%", "%25", ":", "%3A", "*", "%2A", ">", "%3E")

// isUser holds what channel patterns rely on: a user's id is one literal segment.
func isUser(s string) bool {
	return s != "" && s != jsonval.Proto && len(s) <= maxUser && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return r == ':' || r == '*' || r == '>' || unicode.IsControl(r)
	})
}

var (
	oidCommonName       = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidAlternativeNames = asn1.ObjectIdentifier{2, 5, 29, 17}
	errNames            = errors.New("its alternative names cannot be read")
	errCommonName       = errors.New("its common name is no text")
)

func commonNames(leaf *x509.Certificate) (all []string, err error) {
	for _, name := range leaf.Subject.Names {
		if name.Type.Equal(oidCommonName) {
			s, ok := name.Value.(string)
			if !ok {
				return nil, errCommonName
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// alternativeNames reads the names of one kind as they stand. What crypto/x509 has made of them is not enough: two URIs that
// are written differently may be the same to it.
func alternativeNames(leaf *x509.Certificate, field Field) (all []string, err error) {
	tag := map[Field]int{Email: 1, DNS: 2, URI: 6}[field] // RFC 5280 §4.2.1.6
	for _, extension := range leaf.Extensions {
		if !extension.Id.Equal(oidAlternativeNames) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(extension.Value, &names); err != nil || len(rest) > 0 {
			return nil, errNames
		}
		for _, name := range names {
			if name.Class == asn1.ClassContextSpecific && name.Tag == tag {
				all = append(all, string(name.Bytes))
			}
		}
	}
	return all, nil
}
