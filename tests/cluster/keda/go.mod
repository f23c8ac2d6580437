module weir/tests/cluster/keda

go 1.26.3

require github.com/kedacore/keda/v2 v2.20.2
