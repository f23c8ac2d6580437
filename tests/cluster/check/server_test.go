package check

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// serve is the program of the tests' pods: it says its name, and counts.
//
//	/health  200
//	/        its name; counted
//	/count   how many requests were counted
//	/fail    500
func serve(name string) {
	var count atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/count", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, count.Load()) })
	mux.HandleFunc("/fail", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		count.Add(1)
		fmt.Fprint(w, name)
	})
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		fmt.Println("stopping as asked")
		os.Exit(0)
	}()
	fmt.Println("serving", name)
	fmt.Println(http.ListenAndServe(":8080", mux))
	os.Exit(1)
}
