// Package recorded has no code of its own: its tests play real hosts against this library.
//
// testdata has conversations of twelve hosts with a probe server over stdio. A test takes one
// apart into what the host declared, when and how it answered prompts, and which calls it gave
// up (conversation_test.go). A double of the host (host_test.go), with its person and its model
// (person_test.go), then does the same in virtual time with a server of ours; stories_test.go
// says what each comes to, and judge_test.go that both sides keep to the protocol.
package recorded
