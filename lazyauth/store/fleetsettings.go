package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// settingsLife is how long settings are remembered after the last machine that has compared its own has ended, or has done so
// if it does not [Fleet.Run].
const settingsLife = 24 * time.Hour

// maxSettings bounds them.
const maxSettings = 256

// A SettingsError says that this machine is set up otherwise than the others that share the store.
type SettingsError struct {
	Differ []string // the names of the settings that do
}

func (e *SettingsError) Error() string {
	return "store: set up otherwise than the other machines that share the store: " + strings.Join(e.Differ, ", ") +
		": make them equal on all machines, or say that these are the new ones"
}

// What every fleet has to have in common, by these names.
const (
	settingSealKeys = "sealing keys"
	settingNames    = "key of names"
)

// CheckSettings compares settings that have to be equal on all machines (the keys of states, the client's id,
// the scopes, the public URL, …), by name, with those of the machines that came before, and remembers
// them if there were none: for a day, and for as long as one that has compared them is in [Fleet.Run]. The store has a hash of each, sealed, beside that of the key of names. A difference is a [*SettingsError].
func (f *Fleet) CheckSettings(ctx context.Context, settings map[string]string) error {
	return f.compareSettings(ctx, settings, false)
}

// ReplaceSettings remembers the settings in the place of those of other machines, whatever these
// were: they are the new ones, for who compares from now on.
func (f *Fleet) ReplaceSettings(ctx context.Context, settings map[string]string) error {
	return f.compareSettings(ctx, settings, true)
}

func (f *Fleet) compareSettings(ctx context.Context, settings map[string]string, replace bool) error {
	hashed, err := f.hashSettings(settings)
	if err != nil {
		return err
	}
	if err = f.rememberSettings(ctx, hashed, replace); err == nil {
		f.settings.Store(&hashed)
	}
	return err
}

// keepSettings has those that this machine has compared remembered until ctx ends, unless others have replaced them: one that
// comes after days is to be told, too.
func (f *Fleet) keepSettings(ctx context.Context) {
	ticker := time.NewTicker(settingsLife / 6)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if hashed := f.settings.Load(); hashed != nil {
			_ = f.rememberSettings(ctx, *hashed, false) // what fails is done again, long before they end
		}
	}
}

func (f *Fleet) rememberSettings(ctx context.Context, hashed map[string]string, replace bool) error {
	text, err := json.Marshal(hashed)
	if err != nil || len(text) > MaxRecord {
		return errors.New("store: too many settings")
	}
	ctx, cancel := f.answer(ctx)
	defer cancel()
	// The row is found whatever the key of names is, so that another one is found out.
	id := ID{Kind: kindSettings, Key: sha256.Sum256([]byte("lazyauth settings 1"))}
	for range surprises {
		row, err := f.shared.Read(ctx, id)
		if err != nil {
			return f.named(ended(ctx, err))
		}
		c := Change{Generation: 1, Ends: settingsLife}
		if row != nil {
			c.Generation = row.Generation + 1
			if !replace {
				if err := f.sameSettings(row, hashed); err != nil {
					return err
				}
			}
		}
		f.sealer.seal(id, &c, &entry{kindSettings, text})
		var done bool
		if row == nil {
			done, err = f.shared.Insert(ctx, id, c)
		} else {
			done, err = f.shared.Write(ctx, id, row.Fence, row.Generation, c)
		}
		if err != nil || done {
			return f.named(ended(ctx, err))
		}
	}
	return f.named(ErrFenced)
}

// hashSettings returns a hash of each.
func (f *Fleet) hashSettings(settings map[string]string) (map[string]string, error) {
	if len(settings) > maxSettings {
		return nil, errors.New("store: too many settings")
	}
	hashed := map[string]string{settingNames: hashSetting(settingNames, string(f.sealer.names))}
	for name, value := range settings {
		if name == "" || len(name) > 100 || !printable(name) || hashed[name] != "" {
			return nil, fmt.Errorf("store: %.100q cannot be the name of a setting", name)
		}
		hashed[name] = hashSetting(name, value)
	}
	return hashed, nil
}

func hashSetting(name, value string) string {
	sum := sha256.Sum256([]byte(name + "\x00" + value))
	return hex.EncodeToString(sum[:])
}

// sameSettings compares them with what a row has.
func (f *Fleet) sameSettings(row *Row, mine map[string]string) error {
	e, err := f.sealer.openAny(row)
	switch {
	case errors.Is(err, ErrFormat):
		return f.named(err)
	case errors.Is(err, ErrWrongKey):
		return &SettingsError{Differ: []string{settingSealKeys}}
	}
	theirs := make(map[string]string)
	if err != nil || json.Unmarshal(e.record, &theirs) != nil {
		return f.named(fmt.Errorf("%w: the settings of the other machines", ErrDamaged))
	}
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(mine)) {
		if theirs[name] != mine[name] {
			differ = append(differ, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		if _, ok := mine[name]; !ok {
			differ = append(differ, name)
		}
	}
	if differ != nil {
		return &SettingsError{Differ: differ}
	}
	return nil
}
