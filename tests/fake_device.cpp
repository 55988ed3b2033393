// A device "fake" that PyTorch takes for an accelerator. Its memory and kernels are the CPU's, but a tensor of it does
// not mix with one of the CPU, as on a GPU; and with FAKE_NO_DOUBLE set it has no double precision, as on Apple's.

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/library.h>

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

using at::Tensor;
using c10::Device;
using c10::DeviceType;
using c10::IntArrayRef;
using c10::IValue;
using c10::Stream;
using std::optional;

static constexpr auto FAKE = DeviceType::PrivateUse1;
static const c10::DispatchKeySet KEYS(c10::DispatchKey::PrivateUse1);

// --- what PyTorch asks of a device

struct Memory final : at::Allocator {
  at::DataPtr allocate(size_t bytes) override {
    void* at = c10::alloc_cpu(bytes);
    return {at, at, &c10::free_cpu, Device(FAKE, 0)};
  }
  at::DeleterFnPtr raw_deleter() const override { return &c10::free_cpu; }
  void copy_data(void* to, const void* from, size_t bytes) const override { memcpy(to, from, bytes); }
};
static Memory MEMORY;
REGISTER_ALLOCATOR(FAKE, &MEMORY);

struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return FAKE; }
  void setDevice(Device) const override {}
  void uncheckedSetDevice(Device) const noexcept override {}
  Device getDevice() const override { return Device(FAKE, 0); }
  Device exchangeDevice(Device) const override { return getDevice(); }
  Stream getStream(Device) const noexcept override { return Stream(Stream::DEFAULT, getDevice()); }
  Stream exchangeStream(Stream) const noexcept override { return Stream(Stream::DEFAULT, getDevice()); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void synchronizeDevice(const c10::DeviceIndex) const override {}
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const { return true; }  // PyTorch 2.6 does not ask for this one and the next
  bool isAvailable() const { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    auto data = MEMORY.allocate(bytes);
    memcpy(data.get(), storage.data(), std::min(bytes, storage.nbytes()));
    storage.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(data));
    storage.unsafeGetStorageImpl()->set_nbytes(bytes);
  }
};
static const bool REGISTERED = (at::RegisterPrivateUse1HooksInterface(new Hooks()), true);

static void check(at::ScalarType type) {
  static const bool no_double = std::getenv("FAKE_NO_DOUBLE");
  TORCH_CHECK_TYPE(!no_double || type != at::kDouble, "this device has no float64");
}

// --- the same memory as a tensor of the CPU, and back

static Tensor here(const Tensor& tensor) {
  if (!tensor.defined() || tensor.device().type() != FAKE) return tensor;
  auto* storage = tensor.storage().unsafeGetStorageImpl();
  at::DataPtr data(storage->mutable_data(), Device(at::kCPU));
  c10::Storage same({}, storage->nbytes(), std::move(data), c10::GetAllocator(at::kCPU), true);
  auto out = at::empty({0}, tensor.options().device(at::kCPU));
  return out.set_(same, tensor.storage_offset(), tensor.sizes(), tensor.strides());
}

static Tensor there(const Tensor& tensor) {
  if (!tensor.defined() || tensor.device().type() == FAKE) return tensor;
  check(tensor.scalar_type());
  auto* storage = tensor.storage().unsafeGetStorageImpl();
  auto* kept = new Tensor(tensor);  // as long as its memory is used
  auto drop = [](void* kept) { delete static_cast<Tensor*>(kept); };
  at::DataPtr data(storage->mutable_data(), kept, drop, Device(FAKE, 0));
  c10::Storage same({}, storage->nbytes(), std::move(data), &MEMORY, true);
  auto out = at::detail::empty_generic({0}, &MEMORY, KEYS, tensor.scalar_type(), std::nullopt);
  out.unsafeGetTensorImpl()->set_storage_keep_dtype(same);
  out.unsafeGetTensorImpl()->set_sizes_and_strides(tensor.sizes(), tensor.strides(), tensor.storage_offset());
  return out;
}

// --- operations: those of the CPU, on the same memory

static const std::set<std::string> MAY_MIX = {  // indices may lie on the CPU
    "aten::index.Tensor", "aten::index.Tensor_out", "aten::_unsafe_index.Tensor", "aten::index_put_",
    "aten::_index_put_impl_"};

template <typename Change>
static void each(IValue& value, Change change) {
  if (value.isTensor()) {
    value = IValue(change(value.toTensor()));
  } else if (value.isTensorList()) {
    c10::List<Tensor> out;
    for (const Tensor& tensor : value.toTensorVector()) out.push_back(change(tensor));
    value = out;
  } else if (value.isOptionalTensorList()) {
    c10::List<optional<Tensor>> out;
    for (const auto& one : value.toListRef())
      out.push_back(one.isTensor() ? optional<Tensor>(change(one.toTensor())) : std::nullopt);
    value = out;
  } else if (value.isDevice() && value.toDevice().type() == FAKE) {
    value = IValue(Device(at::kCPU));
  }
}

static void on_the_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto name = c10::toString(op.operator_name());
  const auto first = stack->size() - op.schema().arguments().size();
  std::vector<std::pair<Tensor, Tensor>> pairs;  // a tensor of the device, and the same memory here
  for (size_t i = first; i < stack->size(); i++) {
    each((*stack)[i], [&](const Tensor& tensor) {
      if (!tensor.defined()) return tensor;
      const bool is_here = tensor.device().type() == at::kCPU;
      TORCH_CHECK(!is_here || !tensor.dim() || MAY_MIX.count(name), name,
                  ": expected all tensors to be on the same device, but found fake:0 and cpu");
      if (!is_here) pairs.emplace_back(tensor, here(tensor));
      return is_here ? tensor : pairs.back().second;
    });
  }
  op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  for (auto& [tensor, same] : pairs) {
    if (same.sizes() == tensor.sizes() && same.storage().data() == tensor.storage().data()) continue;
    at::native::resize_(tensor, same.sizes(), std::nullopt);  // an `out=` of another size
    here(tensor).copy_(same);
  }
  for (size_t i = stack->size() - op.schema().returns().size(); i < stack->size(); i++) {
    each((*stack)[i], [&](const Tensor& result) {
      for (auto& [tensor, same] : pairs)
        if (same.is_same(result)) return tensor;
      return there(result);
    });
  }
}
TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&on_the_cpu>()); }

// --- operations that have no kernel of the CPU's by their name, or make views

static Tensor empty(IntArrayRef size, optional<at::ScalarType> type, optional<at::Layout>, optional<Device>,
                    optional<bool>, optional<at::MemoryFormat> format) {
  check(c10::dtype_or_default(type));
  return at::detail::empty_generic(size, &MEMORY, KEYS, c10::dtype_or_default(type), format);
}

static Tensor empty_strided(IntArrayRef size, IntArrayRef stride, optional<at::ScalarType> type, optional<at::Layout>,
                            optional<Device>, optional<bool>) {
  check(c10::dtype_or_default(type));
  return at::detail::empty_strided_generic(size, stride, &MEMORY, KEYS, c10::dtype_or_default(type));
}

static Tensor copy_from(const Tensor& from, const Tensor& to, bool) {
  here(to).copy_(here(from));
  return to;
}

static Tensor copy_from_and_resize(const Tensor& from, const Tensor& to) {
  at::native::resize_(to, from.sizes(), std::nullopt);
  return copy_from(from, to, false);
}

static Tensor as_strided(const Tensor& tensor, IntArrayRef size, IntArrayRef stride, optional<int64_t> offset) {
  return at::native::as_strided_tensorimpl(tensor, size, stride, offset);
}

static Tensor& set_storage(Tensor& out, at::Storage storage) {
  const auto count = static_cast<int64_t>(storage.nbytes() / out.dtype().itemsize());
  return at::native::set_storage_cpu_(out, storage, 0, {count}, {1});
}

static Tensor convolution(const Tensor& x, const Tensor& weight, const optional<Tensor>& bias,
                          at::SymIntArrayRef stride, at::SymIntArrayRef padding, at::SymIntArrayRef dilation,
                          bool transposed, at::SymIntArrayRef output_padding, c10::SymInt groups) {
  const auto added = bias ? optional<Tensor>(here(*bias)) : std::nullopt;
  return there(at::convolution_symint(here(x), here(weight), added, stride, padding, dilation, transposed,
                                      output_padding, groups));
}

static std::tuple<Tensor, Tensor, Tensor> convolution_backward(
    const Tensor& gradient, const Tensor& x, const Tensor& weight, at::SymIntArrayRef stride,
    at::SymIntArrayRef padding, at::SymIntArrayRef dilation, bool transposed, at::SymIntArrayRef output_padding,
    c10::SymInt groups, std::array<bool, 3> wanted) {
  const std::vector<c10::SymInt> biases{transposed ? weight.sym_size(1) * groups : weight.sym_size(0)};
  const auto [by_x, by_weight, by_bias] = at::convolution_backward_symint(
      here(gradient), here(x), here(weight), at::OptionalSymIntArrayRef(biases), stride, padding, dilation, transposed,
      output_padding, groups, wanted);
  return {there(by_x), there(by_weight), there(by_bias)};
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("_copy_from", &copy_from);
  m.impl("_copy_from_and_resize", &copy_from_and_resize);
  m.impl("_local_scalar_dense", [](const Tensor& tensor) { return here(tensor).item(); });
  m.impl("as_strided", &as_strided);
  m.impl("view", &at::native::view);
  m.impl("_reshape_alias", &at::native::_reshape_alias);
  m.impl("unfold", &at::native::unfold);
  m.impl("resize_", [](const Tensor& tensor, IntArrayRef size, optional<at::MemoryFormat> format) -> const Tensor& {
    return at::native::resize_(tensor, size, format);
  });
  m.impl("set_.source_Storage", &set_storage);
  m.impl("set_.source_Storage_storage_offset", &at::native::set_storage_cpu_);
  m.impl("convolution_overrideable", &convolution);
  m.impl("convolution_backward_overrideable", &convolution_backward);
}
