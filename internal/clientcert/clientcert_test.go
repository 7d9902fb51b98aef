package clientcert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"
)

// leaf makes a certificate as a client would show it.
func leaf(t *testing.T, template x509.Certificate) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.NotAfter = big.NewInt(1), time.Unix(1<<33, 0)
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// named is a certificate with alternative names as they stand in it.
func named(t *testing.T, tag int, names ...string) *x509.Certificate {
	t.Helper()
	var raw []asn1.RawValue
	for _, name := range names {
		raw = append(raw, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte(name)})
	}
	value, err := asn1.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	return leaf(t, x509.Certificate{
		Subject:         pkix.Name{CommonName: "not asked for"},
		ExtraExtensions: []pkix.Extension{{Id: oidAlternativeNames, Value: value}},
	})
}

func called(t *testing.T, names ...string) *x509.Certificate {
	t.Helper()
	var subject pkix.Name
	for _, name := range names {
		subject.ExtraNames = append(subject.ExtraNames, pkix.AttributeTypeAndValue{Type: oidCommonName, Value: name})
	}
	return leaf(t, x509.Certificate{Subject: subject, DNSNames: []string{"not.asked.for"}})
}

func TestUser(t *testing.T) {
	for _, test := range []struct {
		leaf  *x509.Certificate
		field Field
		want  string
		fails string
	}{
		{called(t, "ada"), SubjectCN, "ada", ""},
		{called(t, "Ada Lovelace, née Byron"), SubjectCN, "Ada Lovelace, née Byron", ""},
		{called(t, " ada"), SubjectCN, " ada", ""}, // another than ada
		{called(t), SubjectCN, "", "has no subject_cn"},
		{called(t, "ada", "bob"), SubjectCN, "", "2 of subject_cn"},
		{called(t, "ada", "ada"), SubjectCN, "", "2 of subject_cn"},
		{called(t, ""), SubjectCN, "", "is no user"},
		{called(t, "a:b"), SubjectCN, "", "is no user"},
		{called(t, "*"), SubjectCN, "", "is no user"},
		{called(t, "a>"), SubjectCN, "", "is no user"},
		{called(t, "a\nb"), SubjectCN, "", "is no user"},
		{called(t, strings.Repeat("a", 255)), SubjectCN, strings.Repeat("a", 255), ""},
		{called(t, strings.Repeat("a", 256)), SubjectCN, "", "is no user"},
		{called(t, "ada"), DNS, "not.asked.for", ""},
		{called(t, "ada"), Email, "", "has no san_email"},
		{named(t, 1, "ada@example.com"), Email, "ada@example.com", ""},
		{named(t, 1, "Ada@example.com"), Email, "Ada@example.com", ""},
		{named(t, 1, "ada@example.com", "root@example.com"), Email, "", "2 of san_email"},
		{named(t, 2, "a.example"), DNS, "a.example", ""},
		{named(t, 2, "*.example"), DNS, "", "is no user"},
		{named(t, 6, "spiffe://example/ada"), URI, "spiffe%3A//example/ada", ""},
		{named(t, 6, "spiffe://example/%61da"), URI, "spiffe%3A//example/%2561da", ""}, // another
		{named(t, 6, "spiffe%3A//example/ada"), URI, "spiffe%253A//example/ada", ""},
		{named(t, 6, "urn:*>"), URI, "urn%3A%2A%3E", ""},
		{named(t, 6, "urn-ada", "urn-bob"), URI, "", "2 of san_uri"},
		{named(t, 2, "a.example"), Email, "", "has no san_email"},
	} {
		user, err := User(test.leaf, test.field)
		if user != test.want || (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%q, %v; want %q %s", user, err, test.want, test.fails)
		}
	}
}

func TestFields(t *testing.T) {
	for _, f := range []Field{SubjectCN, URI, DNS, Email} {
		var again Field
		if err := again.UnmarshalText([]byte(f.String())); err != nil || again != f {
			t.Errorf("%v: %v, %v", f, again, err)
		}
	}
	var f Field
	if err := f.UnmarshalText([]byte("cn")); err == nil || err.Error() != `"cn" is none of subject_cn, san_uri, san_dns, san_email` {
		t.Error(err)
	}
}

var unescape = strings.NewReplacer("%25", "%", "%3A", ":", "%2A", "*", "%3E", ">")

// Whatever stands in a certificate, User takes it as it is or not at all.
func FuzzUser(f *testing.F) {
	f.Add([]byte("\x30\x05\x86\x03ada"))
	f.Add([]byte("\x30\x0a\x86\x03ada\x86\x03bob"))
	f.Add([]byte("\x30\x80"))
	f.Add([]byte("\x30\x08\x86\x06a:%3A*"))
	f.Add([]byte("\x30\x06\x82\x04a%3A"))
	f.Fuzz(func(t *testing.T, value []byte) {
		c := &x509.Certificate{Extensions: []pkix.Extension{{Id: oidAlternativeNames, Value: value}}}
		for _, field := range []Field{URI, DNS, Email} {
			user, err := User(c, field)
			if err != nil {
				continue
			}
			name := user
			if field == URI {
				name = unescape.Replace(user)
			}
			if !isUser(user) || !strings.Contains(string(value), name) {
				t.Errorf("%v of %x is %q", field, value, user)
			}
		}
	})
}
