package main

import (
	"fmt"
	"image/color"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

var barColor = color.RGBA{R: 0x35, G: 0x6a, B: 0x9a, A: 0xff}

// bars draws the medians of systems in a cell with their spreads.
func (m *measured) bars(dir, file, title, cell string, systems []string) error {
	p := plot.New()
	p.Title.Text, p.Y.Label.Text, p.Y.Min = title, "MB/s", 0
	var values plotter.Values
	var names []string
	var spread spreads
	for _, s := range systems {
		o := m.of(cell, s)
		if len(o.Results) == 0 {
			continue
		}
		f := o.mb()
		spread.XYs = append(spread.XYs, plotter.XY{X: float64(len(values)), Y: f.mid})
		spread.YErrors = append(spread.YErrors, struct{ Low, High float64 }{f.mid - f.low, f.high - f.mid})
		values, names = append(values, f.mid), append(names, s)
	}
	if len(values) == 0 {
		return nil
	}
	b, err := plotter.NewBarChart(values, vg.Points(34))
	if err != nil {
		return fmt.Errorf("draw %s: %w", file, err)
	}
	b.Color, b.LineStyle.Width = barColor, 0
	e, err := plotter.NewYErrorBars(spread)
	if err != nil {
		return fmt.Errorf("draw %s: %w", file, err)
	}
	p.Add(b, e)
	p.NominalX(names...)
	p.X.Tick.Label.Rotation, p.X.Tick.Label.XAlign = 0.5, -0.9
	if err := p.Save(vg.Points(float64(90+80*len(values))), 260, filepath.Join(dir, file)); err != nil {
		return fmt.Errorf("draw %s: %w", file, err)
	}
	return nil
}

type spreads struct {
	plotter.XYs
	plotter.YErrors
}

// draw makes the plots of the page.
func (m *measured) draw(dir string) error {
	for _, x := range []struct {
		file, title, cell string
		systems           []string
	}{
		{"produce-d.svg", "produce, acknowledged after an fsync", "produce-D", []string{troupeD, producerD, embeddedD, plain4, natsD}},
		{"produce-p.svg", "produce, acknowledged from the page cache", "produce-P", []string{troupeP, embeddedP, plainP, natsP}},
		{"consume.svg", "consume a backlog", "consume", []string{troupeP, natsP}},
	} {
		if err := m.bars(dir, x.file, x.title, x.cell, x.systems); err != nil {
			return err
		}
	}
	return nil
}
