// Prints the faces of a binary PPM picture: faces FACES.onnx PICTURE.ppm
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <onnxruntime_cxx_api.h>

int main(int words, char** word) try {
  if (words != 3) return std::fprintf(stderr, "usage: faces FACES.onnx PICTURE.ppm\n"), 2;
  std::ifstream file(word[2], std::ios::binary);
  std::string magic;
  int64_t width = 0, height = 0, most = 0;
  if (!(file >> magic >> width >> height >> most) || magic != "P6" || most != 255 || file.get() < 0)
    return std::fprintf(stderr, "%s is no binary PPM picture of 8 bits\n", word[2]), 1;
  std::vector<uint8_t> frame(width * height * 3);
  if (!file.read(reinterpret_cast<char*>(frame.data()), frame.size()))
    return std::fprintf(stderr, "%s ends too early\n", word[2]), 1;
  for (size_t i = 0; i < frame.size(); i += 3) std::swap(frame[i], frame[i + 2]);  // RGB to BGR

  Ort::Env env(ORT_LOGGING_LEVEL_WARNING, "faces");
  Ort::Session session(env, word[1], Ort::SessionOptions());
  const int64_t shape[] = {height, width, 3};
  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  auto input = Ort::Value::CreateTensor<uint8_t>(memory, frame.data(), frame.size(), shape, 3);
  const char* takes[] = {"frame"};
  const char* gives[] = {"count", "box", "score", "age", "gender"};
  auto found = session.Run(Ort::RunOptions(), takes, &input, 1, gives, 5);
  const float* value[5];
  for (int k = 1; k < 5; ++k) value[k] = found[k].GetTensorData<float>();
  for (int64_t i = 0; i < *found[0].GetTensorData<int64_t>(); ++i) {
    const float* box = value[1] + 4 * i;
    std::printf("%.1f %.1f %.1f %.1f score %.3f age %.1f female %.3f\n", box[0], box[1], box[2], box[3], value[2][i],
                value[3][i], value[4][2 * i]);
  }
} catch (const std::exception& error) {
  return std::fprintf(stderr, "%s\n", error.what()), 1;
}
