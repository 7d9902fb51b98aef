package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"hocket.dev/websocket"
)

// goThroughSuite is the client of the suite's fuzzing server: it asks for the number of
// cases, echoes in each, and has the reports written.
func (s settings) goThroughSuite(ctx context.Context) error {
	cases, err := s.countCases(ctx)
	if err != nil {
		return err
	}
	agent := "agent=" + url.QueryEscape(s.agent)
	for n := 1; n <= cases; n++ {
		c, err := s.dial(ctx, fmt.Sprintf("/runCase?case=%d&%s", n, agent))
		if err != nil {
			return fmt.Errorf("case %d: %w", n, err)
		}
		s.echo(ctx, c)
	}
	c, err := s.dial(ctx, "/updateReports?"+agent)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	var closed *websocket.CloseError
	if _, _, err := c.Read(ctx); !errors.As(err, &closed) || closed.Code == websocket.CloseAbnormal {
		return fmt.Errorf("the reports: %w", err)
	}
	fmt.Printf("%d cases done, see the reports\n", cases)
	return nil
}

func (s settings) countCases(ctx context.Context) (int, error) {
	c, err := s.dial(ctx, "/getCaseCount")
	if err != nil {
		return 0, err
	}
	defer c.CloseNow()
	_, msg, err := c.Read(ctx)
	if err != nil {
		return 0, fmt.Errorf("the number of cases: %w", err)
	}
	n, err := strconv.Atoi(string(msg))
	if err != nil {
		return 0, fmt.Errorf("the number of cases: %w", err)
	}
	_, _, _ = c.Read(ctx) // the server closes behind it
	return n, nil
}

func (s settings) dial(ctx context.Context, path string) (*websocket.Conn, error) {
	c, _, err := websocket.Dial(ctx, s.suite+path, &websocket.DialOptions{Compression: s.compression})
	return c, err
}
