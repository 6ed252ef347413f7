package redis_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
)

func TestLink_Cut(t *testing.T)        { enginetest.LinkCut(t, newPlace(t, server).common()) }
func TestLink_Broken(t *testing.T)     { enginetest.LinkBroken(t, newPlace(t, server).common()) }
func TestLink_AnswerLost(t *testing.T) { enginetest.LinkAnswerLost(t, newPlace(t, server).common()) }
func TestLink_Silent(t *testing.T)     { enginetest.LinkSilent(t, newPlace(t, server).common()) }
func TestLink_Slow(t *testing.T)       { enginetest.LinkSlow(t, newPlace(t, server).common()) }
func TestLink_Weather(t *testing.T)    { enginetest.LinkWeather(t, newPlace(t, server).common()) }
